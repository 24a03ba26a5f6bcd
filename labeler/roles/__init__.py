"""The processes of a service: how each lives, who watches over them, what they are called."""
