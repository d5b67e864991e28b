"""REST: one thin router per noun; limits and problem+json at the edge."""
