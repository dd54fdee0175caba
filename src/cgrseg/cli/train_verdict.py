"""stub"""


def tell_verdict(*_):
    pass
