"""Labels that are never lost: versions, who made them and how, what others say of them."""
