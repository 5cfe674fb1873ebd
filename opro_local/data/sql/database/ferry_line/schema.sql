-- A small ferry line: ports, boats, timetabled crossings and the tickets sold for them.
CREATE TABLE port (
  code TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  island TEXT
);
CREATE TABLE boat (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  built INTEGER NOT NULL,
  seats INTEGER NOT NULL,
  car_spaces INTEGER
);
CREATE TABLE crossing (
  id INTEGER PRIMARY KEY,
  boat_id INTEGER NOT NULL REFERENCES boat(id),
  from_port TEXT NOT NULL REFERENCES port(code),
  to_port TEXT NOT NULL REFERENCES port(code),
  day TEXT NOT NULL,
  departs TEXT NOT NULL,
  minutes INTEGER NOT NULL,
  cancelled INTEGER NOT NULL
);
CREATE TABLE ticket (
  id INTEGER PRIMARY KEY,
  crossing_id INTEGER NOT NULL REFERENCES crossing(id),
  passenger TEXT NOT NULL,
  fare TEXT NOT NULL,
  price REAL NOT NULL,
  with_car INTEGER NOT NULL
);
INSERT INTO port VALUES
  ('SKA', 'Skarvik', NULL),
  ('LOM', 'Lomsund', NULL),
  ('HES', 'Hestholm', 'Hestholm'),
  ('VES', 'Vesterby', 'Stor'),
  ('OST', 'Osterby', 'Stor'),
  ('GRA', 'Grayskerry', 'Grayskerry');
INSERT INTO boat VALUES
  (1, 'Tern', 1988, 90, 12),
  (2, 'Puffin', 2004, 150, 30),
  (3, 'Eider', 2015, 220, 48),
  (4, 'Dunlin', 1975, 40, NULL),
  (5, 'Gannet', 2021, 180, 36);
INSERT INTO crossing VALUES
  (1, 1, 'SKA', 'HES', '2024-05-03', '08:00', 35, 0),
  (2, 1, 'HES', 'SKA', '2024-05-03', '09:15', 35, 0),
  (3, 2, 'SKA', 'VES', '2024-05-03', '08:30', 70, 0),
  (4, 2, 'VES', 'SKA', '2024-05-03', '10:30', 70, 0),
  (5, 3, 'LOM', 'OST', '2024-05-03', '07:45', 95, 0),
  (6, 3, 'OST', 'LOM', '2024-05-03', '10:10', 95, 1),
  (7, 4, 'HES', 'GRA', '2024-05-04', '11:00', 25, 0),
  (8, 4, 'GRA', 'HES', '2024-05-04', '12:00', 25, 1),
  (9, 1, 'SKA', 'HES', '2024-05-04', '08:00', 35, 1),
  (10, 2, 'SKA', 'VES', '2024-05-04', '08:30', 75, 0),
  (11, 3, 'LOM', 'OST', '2024-05-04', '07:45', 90, 0),
  (12, 2, 'VES', 'LOM', '2024-05-05', '14:00', 110, 0);
INSERT INTO ticket VALUES
  (1, 1, 'Ada Holm', 'adult', 12.5, 0),
  (2, 1, 'Bo Lind', 'adult', 31.0, 1),
  (3, 1, 'Cy Lind', 'child', 6.0, 0),
  (4, 2, 'Ada Holm', 'adult', 12.5, 0),
  (5, 3, 'Dag Moe', 'adult', 48.0, 1),
  (6, 3, 'Eli Moe', 'child', 9.0, 0),
  (7, 3, 'Finn Aas', 'senior', 11.5, 0),
  (8, 4, 'Finn Aas', 'senior', 11.5, 0),
  (9, 5, 'Gro Berg', 'adult', 55.0, 1),
  (10, 5, 'Hal Berg', 'adult', 22.0, 0),
  (11, 6, 'Gro Berg', 'adult', 55.0, 1),
  (12, 7, 'Ada Holm', 'adult', 8.0, 0),
  (13, 7, 'Ida Vik', 'child', 4.0, 0),
  (14, 9, 'Jon Vik', 'adult', 12.5, 0),
  (15, 10, 'Dag Moe', 'adult', 48.0, 1),
  (16, 10, 'Kai Rud', 'adult', 18.5, 0),
  (17, 10, 'Liv Rud', 'child', 9.0, 0),
  (18, 11, 'Hal Berg', 'adult', 22.0, 0),
  (19, 12, 'Kai Rud', 'adult', 26.0, 0),
  (20, 12, 'Liv Rud', 'child', 13.0, 0),
  (21, 3, 'Mia Sol', 'adult', 18.5, 0);
