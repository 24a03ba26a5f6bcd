"""The processes of a service: how each lives, who watches over them, what they are called."""

MODULES = {
    "web": "labeler.web.server",
    "scheduler": "labeler.roles.scheduler",
    "worker": "trainer.worker.main",
}
