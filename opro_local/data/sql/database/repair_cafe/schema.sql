-- A repair cafe: volunteers and what they can mend, visitors, the things they bring, and the repairs tried on them.
CREATE TABLE volunteer (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  joined INTEGER NOT NULL,
  town TEXT NOT NULL
);
CREATE TABLE skill (
  id INTEGER PRIMARY KEY,
  volunteer_id INTEGER NOT NULL REFERENCES volunteer(id),
  craft TEXT NOT NULL
);
CREATE TABLE visitor (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  town TEXT
);
CREATE TABLE item (
  id INTEGER PRIMARY KEY,
  visitor_id INTEGER NOT NULL REFERENCES visitor(id),
  kind TEXT NOT NULL,
  craft TEXT NOT NULL,
  age_years REAL,
  weight_kg REAL NOT NULL
);
CREATE TABLE repair (
  id INTEGER PRIMARY KEY,
  item_id INTEGER NOT NULL REFERENCES item(id),
  volunteer_id INTEGER NOT NULL REFERENCES volunteer(id),
  day TEXT NOT NULL,
  minutes INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  parts_cost REAL
);
INSERT INTO volunteer VALUES
  (1, 'Noor', 2017, 'Elmford'),
  (2, 'Piet', 2018, 'Elmford'),
  (3, 'Quinn', 2019, 'Ashby'),
  (4, 'Rosa', 2019, 'Millport'),
  (5, 'Sven', 2022, 'Ashby'),
  (6, 'Tess', 2023, 'Elmford');
INSERT INTO skill VALUES
  (1, 1, 'electrical'), (2, 1, 'electronics'), (3, 2, 'bicycles'), (4, 2, 'woodwork'), (5, 3, 'textiles'),
  (6, 4, 'electrical'), (7, 4, 'bicycles'), (8, 5, 'electronics'), (9, 6, 'textiles'), (10, 6, 'woodwork'),
  (11, 6, 'ceramics');
INSERT INTO visitor VALUES
  (1, 'Uma', 'Elmford'),
  (2, 'Vito', 'Ashby'),
  (3, 'Wanda', 'Elmford'),
  (4, 'Xavi', NULL),
  (5, 'Yara', 'Millport'),
  (6, 'Zeno', 'Dunwich'),
  (7, 'Abel', 'Ashby');
INSERT INTO item VALUES
  (1, 1, 'toaster', 'electrical', 6, 1.8),
  (2, 1, 'lamp', 'electrical', 22, 2.4),
  (3, 2, 'bicycle', 'bicycles', 9.5, 14.2),
  (4, 3, 'radio', 'electronics', 35, 3.1),
  (5, 3, 'jacket', 'textiles', 4, 0.9),
  (6, 4, 'chair', 'woodwork', 60, 5.5),
  (7, 5, 'kettle', 'electrical', 3, 1.2),
  (8, 5, 'bicycle', 'bicycles', 2, 12.6),
  (9, 5, 'dress', 'textiles', NULL, 0.5),
  (10, 6, 'laptop', 'electronics', 7, 2.2),
  (11, 7, 'radio', 'electronics', 12, 1.1),
  (12, 2, 'toaster', 'electrical', 11, 2.0),
  (13, 6, 'stool', 'woodwork', 15, 3.4);
INSERT INTO repair VALUES
  (1, 1, 1, '2023-03-04', 40, 'fixed', 3.5),
  (2, 2, 4, '2023-03-04', 25, 'fixed', NULL),
  (3, 3, 2, '2023-03-04', 75, 'fixed', 18.0),
  (4, 4, 1, '2023-04-01', 90, 'failed', NULL),
  (5, 4, 5, '2023-05-06', 120, 'fixed', 12.4),
  (6, 5, 3, '2023-04-01', 30, 'fixed', 0.8),
  (7, 6, 2, '2023-04-01', 55, 'advised', NULL),
  (8, 7, 4, '2023-05-06', 15, 'failed', NULL),
  (9, 8, 4, '2023-05-06', 50, 'fixed', 9.9),
  (10, 9, 6, '2023-05-06', 45, 'fixed', 1.2),
  (11, 10, 5, '2023-06-03', 110, 'advised', NULL),
  (12, 11, 1, '2023-06-03', 35, 'fixed', 2.6),
  (13, 12, 4, '2023-06-03', 20, 'fixed', 4.0),
  (14, 6, 6, '2023-06-03', 65, 'fixed', 5.0),
  (15, 7, 5, '2023-06-03', 20, 'fixed', 2.2);
