"""What others would write, to stand beside ours in the same run; the product uses none of it."""
