"""What happened, kept until delivered."""
