"""What clicks bring: Dice by number of clicks, clicks to reach a Dice, and what a click costs."""
