"""One module for each kind of database: how it is opened, written to, migrated and explained.

An engine has `connections`, whose transactions each see one state of the database; `writing`, where
a transaction also has the database to itself, so that what a verb has read is true still when it
commits; `migrating`, a transaction that changes tables; `change_mark`, a number that changes with
every commit; `trouble`, what a user must know of an error; and `close`. `Database` chooses the
engine.
"""
