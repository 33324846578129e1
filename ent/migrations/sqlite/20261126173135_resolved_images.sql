-- +goose Up
-- add column "resolved_at" to table: "images"
ALTER TABLE `images` ADD COLUMN `resolved_at` datetime NULL;
-- create "resolved_images" table
CREATE TABLE `resolved_images` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `created_at` datetime NOT NULL, `reference` text NOT NULL, `digest` text NOT NULL, `version_id` text NOT NULL, CONSTRAINT `resolved_images_versions_version` FOREIGN KEY (`version_id`) REFERENCES `versions` (`id`) ON DELETE NO ACTION);
-- create index "resolvedimage_version_id_reference" to table: "resolved_images"
CREATE UNIQUE INDEX `resolvedimage_version_id_reference` ON `resolved_images` (`version_id`, `reference`);
