"""From one chart to the next: successors of codes, and what is carried over to them."""
