"""Events: stored with the resource that they are about and delivered to subscribers."""
