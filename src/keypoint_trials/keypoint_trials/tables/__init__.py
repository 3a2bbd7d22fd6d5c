"""The paper's tables with this stack's own figures beside them: `make tables`."""
