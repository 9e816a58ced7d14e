"""Forecasts of yield: counts with their volume in, figures with a measured interval out."""
