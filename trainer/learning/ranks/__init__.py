"""An update as a program of several processes (ranks), over a job folder."""
