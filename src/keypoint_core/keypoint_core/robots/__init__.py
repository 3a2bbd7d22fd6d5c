"""Descriptions of robot arms, one YAML each."""
