-- A regional seed bank: species, the samples it keeps, where they were collected, and how well they germinate.
CREATE TABLE species (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  family TEXT NOT NULL,
  status TEXT
);
CREATE TABLE site (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  county TEXT NOT NULL,
  altitude_m INTEGER
);
CREATE TABLE sample (
  id INTEGER PRIMARY KEY,
  species_id INTEGER NOT NULL REFERENCES species(id),
  site_id INTEGER NOT NULL REFERENCES site(id),
  collected_on TEXT NOT NULL,
  seeds INTEGER NOT NULL,
  shelf TEXT
);
CREATE TABLE germination_test (
  id INTEGER PRIMARY KEY,
  sample_id INTEGER NOT NULL REFERENCES sample(id),
  tested_on TEXT NOT NULL,
  temperature_c REAL NOT NULL,
  sown INTEGER NOT NULL,
  germinated INTEGER NOT NULL
);
INSERT INTO species VALUES
  (1, 'Fen orchid', 'Orchidaceae', 'endangered'),
  (2, 'Field scabious', 'Caprifoliaceae', 'common'),
  (3, 'Marsh gentian', 'Gentianaceae', 'vulnerable'),
  (4, 'Corn cockle', 'Caryophyllaceae', 'endangered'),
  (5, 'Bladder campion', 'Caryophyllaceae', 'common'),
  (6, 'Early marsh orchid', 'Orchidaceae', 'vulnerable'),
  (7, 'Yellow rattle', 'Orobanchaceae', 'common'),
  (8, 'Ragged robin', 'Caryophyllaceae', NULL),
  (9, 'Spring gentian', 'Gentianaceae', 'vulnerable');
INSERT INTO site VALUES
  (1, 'Otter Fen', 'Norland', 4),
  (2, 'Chalk Down', 'Westmere', 212),
  (3, 'Mill Meadow', 'Norland', 38),
  (4, 'High Pasture', 'Tarnshire', 540),
  (5, 'Quarry Edge', 'Westmere', 175),
  (6, 'Lost Croft', 'Tarnshire', NULL);
INSERT INTO sample VALUES
  (1, 1, 1, '2016-08-14', 1200, 'A1'),
  (2, 2, 2, '2017-09-02', 850, 'B1'),
  (3, 3, 1, '2017-09-20', 4000, 'A2'),
  (4, 4, 3, '2018-07-30', 300, 'B2'),
  (5, 5, 5, '2018-08-11', 950, 'B3'),
  (6, 6, 1, '2019-08-05', 2600, 'A3'),
  (7, 7, 3, '2019-07-19', 700, NULL),
  (8, 2, 5, '2019-09-08', 640, 'B4'),
  (9, 7, 4, '2020-08-01', 880, 'C1'),
  (10, 5, 2, '2020-08-23', 1100, 'C2'),
  (11, 3, 4, '2021-09-27', 3500, 'A4'),
  (12, 1, 1, '2021-08-16', 1500, 'A5'),
  (13, 8, 3, '2022-07-12', 2100, NULL),
  (14, 4, 3, '2022-08-02', 420, 'C3');
INSERT INTO germination_test VALUES
  (1, 1, '2017-02-10', 15.0, 50, 9),
  (2, 2, '2018-03-05', 20.0, 40, 31),
  (3, 3, '2018-03-12', 15.0, 100, 64),
  (4, 3, '2021-03-15', 20.0, 100, 52),
  (5, 4, '2019-02-20', 20.0, 25, 22),
  (6, 5, '2019-03-01', 20.0, 50, 44),
  (7, 6, '2020-02-18', 15.0, 80, 17),
  (8, 7, '2020-01-09', 5.0, 60, 51),
  (9, 7, '2020-03-09', 20.0, 60, 3),
  (10, 8, '2020-03-22', 20.0, 40, 28),
  (11, 9, '2021-01-11', 5.0, 60, 47),
  (12, 10, '2021-03-04', 20.0, 50, 45),
  (13, 11, '2022-03-14', 15.0, 100, 71),
  (14, 14, '2023-02-27', 20.0, 25, 24),
  (15, 1, '2022-02-15', 12.5, 50, 6);
