"""What multiplies: one network per library that can run a model, behind one interface."""
