"""What each numerics level costs."""
