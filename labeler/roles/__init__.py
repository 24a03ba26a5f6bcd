"""The processes of a service: how each lives, who watches over them, what they are called."""

START = "labeler.roles.start"  # runs one of these
MODULES = {
    "web": "labeler.web.server",
    "scheduler": "labeler.roles.scheduler",
    "worker": "trainer.worker.main",
    "sampler": "trainer.worker.as_sampler",
    "trainer": "trainer.worker.as_trainer",
}
