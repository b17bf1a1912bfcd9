"""The tables of the label history; a new layout is a further script at the end, never a change to an earlier one."""

from __future__ import annotations

_FIRST = """
CREATE TABLE versions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    image TEXT NOT NULL,
    tag TEXT NOT NULL,
    author TEXT NOT NULL,
    created TEXT NOT NULL,
    tool TEXT NOT NULL,
    model TEXT NOT NULL,
    model_version TEXT NOT NULL,
    prompts TEXT,
    parent TEXT,
    kind TEXT NOT NULL CHECK (kind IN ('label', 'no_lesion', 'removed')),
    sha256 TEXT NOT NULL,
    suffix TEXT NOT NULL,
    size INTEGER NOT NULL,
    info TEXT NOT NULL,
    request_id TEXT NOT NULL
);
CREATE INDEX versions_of_image ON versions (image, tag, seq);
CREATE INDEX versions_of_object ON versions (sha256);

-- The newest version of every image and tag; for lookups, and made anew from versions at any time.
CREATE TABLE heads (
    image TEXT NOT NULL,
    tag TEXT NOT NULL,
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    PRIMARY KEY (image, tag)
) WITHOUT ROWID;

-- Which version lies as a copy at <tag>/<name>, and how that file looked when it was put there.
CREATE TABLE copies (
    tag TEXT NOT NULL,
    name TEXT NOT NULL,
    image TEXT NOT NULL,
    seq INTEGER NOT NULL,
    size INTEGER NOT NULL,
    changed_ns INTEGER NOT NULL,
    PRIMARY KEY (tag, name)
) WITHOUT ROWID;
CREATE INDEX copies_of_image ON copies (image, tag);

CREATE TRIGGER versions_stay_as_they_are BEFORE UPDATE ON versions
BEGIN SELECT RAISE(ABORT, 'a label version is never changed'); END;

CREATE TRIGGER versions_stay BEFORE DELETE ON versions
BEGIN SELECT RAISE(ABORT, 'a label version is never deleted'); END;

-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER versions_are_not_replaced BEFORE INSERT ON versions
WHEN EXISTS (SELECT 1 FROM versions WHERE uid = NEW.uid OR seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'a label version is never replaced'); END;

CREATE TRIGGER versions_become_heads AFTER INSERT ON versions
BEGIN
    INSERT INTO heads (image, tag, seq, kind) VALUES (NEW.image, NEW.tag, NEW.seq, NEW.kind)
    ON CONFLICT (image, tag) DO UPDATE SET seq = NEW.seq, kind = NEW.kind WHERE NEW.seq > seq;
END;
"""

#: Scripts in the order in which they are run; ``PRAGMA user_version`` counts them.
MIGRATIONS = (_FIRST,)
