"""Security: authentication, authorization, and limits for outbound connections."""
