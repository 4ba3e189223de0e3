"""The kinds of work that jobs do, a module each: see :mod:`twin.jobs.work`."""
