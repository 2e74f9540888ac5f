"""One construct per capability. Each owns its resources, their rights and their limits; the stack only composes."""
