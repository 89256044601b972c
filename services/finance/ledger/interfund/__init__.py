"""What the funds of one agency owe one another: the due-from and due-to lines that balance each of them."""
