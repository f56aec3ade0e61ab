-- Run in the database `orders`.
CREATE TABLE item (
  id int AUTO_INCREMENT PRIMARY KEY,
  name varchar(100) NOT NULL,
  facts json,
  picture blob,
  ordered timestamp NOT NULL DEFAULT '2025-01-01 00:00:00'
);
INSERT INTO item (name, facts, picture)
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
SELECT CONCAT('item ', i, ' "it''s" 🛟'), JSON_OBJECT('n', i), UNHEX(REPEAT(SHA2(i, 256), 1 + i MOD 10)) FROM n;
CREATE TABLE sale (id int AUTO_INCREMENT PRIMARY KEY, item int NOT NULL, FOREIGN KEY (item) REFERENCES item (id));
INSERT INTO sale (item) SELECT id FROM item WHERE id MOD 3 = 0;
CREATE VIEW sold AS SELECT i.name, COUNT(*) AS times FROM sale s JOIN item i ON i.id = s.item GROUP BY i.id, i.name;
DELIMITER //
CREATE PROCEDURE forget(IN number int) BEGIN DELETE FROM sale WHERE item = number; END //
DELIMITER ;
CREATE TRIGGER named BEFORE INSERT ON item FOR EACH ROW SET NEW.name = TRIM(NEW.name);
CREATE EVENT tidy ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' DO DELETE FROM sale WHERE id = 0;
CREATE USER 'clerk'@'%' IDENTIFIED BY 'o''clerk \\ "x"';
GRANT ALL ON orders.* TO 'clerk'@'%';
