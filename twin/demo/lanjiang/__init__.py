"""岚江市: a fictional city, generated as files of the kinds that its departments would deliver.

Everything in it is invented (虚构演示数据). The city is laid out once, at its largest; a size says how much
of it is written, so a smaller one is a part of a larger one, ids included.
"""
