"""What a version goes out as, and how it is checked.

    policy -> what the service says -> a folder for another program -> what its reader says

`trainer.programs.export` is the program.
"""
