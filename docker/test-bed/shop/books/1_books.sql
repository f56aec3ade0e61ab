-- Run in the database `books`.
SET NAMES utf8mb4;
CREATE TABLE author (
  id int AUTO_INCREMENT PRIMARY KEY,
  name varchar(100) CHARACTER SET utf8mb4 NOT NULL,
  born date
) ENGINE = InnoDB;
INSERT INTO author (name, born) SELECT CONCAT('Zoë O''Brien "', seq, '" 🛟'), DATE_ADD('1950-01-01', INTERVAL seq DAY) FROM seq_1_to_1000;

CREATE TABLE book (
  id int AUTO_INCREMENT PRIMARY KEY,
  author int NOT NULL,
  title varchar(200) NOT NULL,
  price decimal(8, 2) NOT NULL,
  cover blob,
  kind enum('novel', 'it''s poetry') NOT NULL,
  gross decimal(10, 4) AS (price * 1.07) STORED,
  changed timestamp NOT NULL DEFAULT '2025-01-01 00:00:00',
  KEY (title),
  CONSTRAINT written_by FOREIGN KEY (author) REFERENCES author (id)
) ENGINE = InnoDB;
INSERT INTO book (author, title, price, cover, kind)
SELECT 1 + seq MOD 1000, CONCAT('back\\slash ', seq), seq MOD 50 + 0.99, UNHEX(REPEAT(MD5(seq), 1 + seq MOD 20)), 1 + seq MOD 2 FROM seq_1_to_5000;

CREATE TABLE `from` (`sel``ect` int, `with space` text);
INSERT INTO `from` SELECT seq, IF(seq MOD 2, NULL, '') FROM seq_1_to_100;
CREATE TABLE log (at datetime NOT NULL, said text) ENGINE = MyISAM;
CREATE TABLE counted (author int PRIMARY KEY, books int NOT NULL);
CREATE VIEW novel AS SELECT b.title, a.name FROM book b JOIN author a ON a.id = b.author WHERE b.kind = 'novel';

DELIMITER //
CREATE PROCEDURE recount() COMMENT 'it''s quick'
BEGIN
  REPLACE INTO counted SELECT author, COUNT(*) FROM book GROUP BY author;
END //
CREATE FUNCTION with_tax(net decimal(8, 2)) RETURNS decimal(8, 2) DETERMINISTIC RETURN net * 1.07 //
CREATE TRIGGER written AFTER INSERT ON book FOR EACH ROW INSERT INTO log VALUES ('2025-01-01', CONCAT('new: ', NEW.title)) //
-- It must survive a restore, and must never change what is compared.
CREATE EVENT tidy ON SCHEDULE EVERY 1 YEAR STARTS '2037-01-01 00:00:00' DO BEGIN DELETE FROM log; END //
DELIMITER ;
CALL recount();
INSERT INTO book (author, title, price, kind) VALUES (1, 'the trigger''s', 1, 1);

CREATE DATABASE `odd-name db`;
CREATE TABLE `odd-name db`.`t'able` (id int PRIMARY KEY, v varchar(20));
INSERT INTO `odd-name db`.`t'able` SELECT seq, CONCAT('v', seq) FROM seq_1_to_200;
CREATE USER 'auditor'@'10.%' IDENTIFIED BY 'look "only" \\ don''t';
GRANT SELECT ON `odd-name db`.* TO 'auditor'@'10.%';
