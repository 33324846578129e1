-- +goose Up
-- add column "host" to table: "targets"
ALTER TABLE `targets` ADD COLUMN `host` text NULL;
-- add column "allow" to table: "targets"
ALTER TABLE `targets` ADD COLUMN `allow` json NULL;
