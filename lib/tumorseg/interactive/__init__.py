"""Prompts in, masks out: clicks, boxes, extreme points and scribbles."""
