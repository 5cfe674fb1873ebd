"""Tours: their length and one way to write each, two heuristics, and the shortest by integer
programming.

For: what the travelling salesman problem needs apart from a model (paper section 4.2). Not for:
asking one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Tour = tuple[int, ...]
EXACT = 100  # most points for which the optimum is looked for: half a minute at the most difficult
# Branch-and-bound nodes after which the solver gives up; a count, so that every machine agrees.
NODES = 20_000


def length(tour: Sequence[int], distances: np.ndarray) -> float:
    """The length of a closed tour, rounded once: tours with the same edges are equally long,
    whatever their order.
    """
    return math.fsum(distances[a, b] for a, b in zip(tour, (*tour[1:], tour[0]), strict=True))


def canonical(tour: Sequence[int]) -> Tour:
    """The same closed tour from city 0 on, in the direction whose second city is the smaller."""
    start = list(tour).index(0)
    turned = (*tour[start:], *tour[:start])
    return turned if turned[1] <= turned[-1] else (0, *reversed(turned[1:]))


def nearest_neighbour(distances: np.ndarray) -> Tour:
    """From city 0 always on to the nearest city not yet visited."""
    tour, left = [0], set(range(1, len(distances)))
    while left:
        tour.append(min(left, key=lambda city: (distances[tour[-1], city], city)))
        left.remove(tour[-1])
    return canonical(tour)


def farthest_insertion(distances: np.ndarray) -> Tour:
    """Always insert, where it costs least, the city whose cheapest insertion costs most (paper
    section 4.2).
    """
    tour, left = [0], list(range(1, len(distances)))
    while left:
        after = tour[1:] + tour[:1]
        cost = (
            distances[np.ix_(left, tour)] + distances[np.ix_(left, after)] - distances[tour, after]
        )
        city = int(cost.min(axis=1).argmax())
        tour.insert(int(cost[city].argmin()) + 1, left.pop(city))
    return canonical(tour)


def random_tour(nodes: int, rng: np.random.Generator) -> Tour:
    """A uniformly drawn tour."""
    return canonical([0, *(int(city) + 1 for city in rng.permutation(nodes - 1))])


def shortest(distances: np.ndarray) -> Tour | None:
    """A shortest tour, proven so by HiGHS (to its tolerance of 1e-6), or None if that would take
    too long.

    Dantzig, Fulkerson and Johnson's program: two edges a city; as long as the solution falls apart
    into several parts, each part must be left twice. First the relaxation, then with whole numbers.

    Args:
        distances: shape (n, n), symmetric, n >= 3.
    """
    from scipy.optimize import LinearConstraint, milp
    from scipy.sparse import csr_array, vstack
    from scipy.sparse.csgraph import connected_components

    n = len(distances)
    if n > EXACT:
        return None
    a, b = np.triu_indices(n, 1)  # the two ends of each edge
    edges = np.arange(len(a))
    # A limit a row: first one for each city, whose edges number exactly two.
    rows = csr_array((np.ones(2 * len(a)), (np.r_[a, b], np.r_[edges, edges])), (n, len(a)))
    upper, whole = np.full(n, 2.0), False
    while True:
        limits = LinearConstraint(rows, np.full(len(upper), 2.0), upper)
        program = milp(
            distances[a, b],
            constraints=limits,
            bounds=(0, 1),
            integrality=np.full(len(a), int(whole)),
            options={"mip_rel_gap": 0, "node_limit": NODES},
        )
        if program.x is None or program.status != 0:
            return None
        used = program.x > 1e-6
        graph = csr_array((np.ones(used.sum()), (a[used], b[used])), (n, n))
        parts, part = connected_components(graph, directed=False)
        if parts > 1:
            # For each part: the edges with one end in it number two or more.
            leaving = []
            for k in range(parts):
                crosses = (part[a] == k) != (part[b] == k)
                leaving.append(csr_array(crosses.astype(float)[None]))
            rows, upper = vstack([rows, *leaving]), np.r_[upper, np.full(parts, np.inf)]
        elif whole:
            return _follow(n, a[used], b[used])
        whole = whole or parts == 1


def _follow(n: int, a: np.ndarray, b: np.ndarray) -> Tour:
    """The tour that n edges make."""
    neighbours: dict[int, list[int]] = {city: [] for city in range(n)}
    for one, other in zip(a.tolist(), b.tolist(), strict=True):
        neighbours[one].append(other)
        neighbours[other].append(one)
    tour = [0]
    while len(tour) < n:
        # Of a city's two neighbours one is where the tour comes from.
        tour.append(next(city for city in neighbours[tour[-1]] if city not in tour[-2:]))
    return canonical(tour)
