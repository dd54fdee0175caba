"""The service: weights behind HTTP, for programs and, as a page, for people.

    request -- guard: id, token, log, count -- read the image, limited -- line of its model -- encode -- answer
                                                                                |
                        decode, prepare (a few threads) -- engine (one thread) -- label, encode (a few threads)

Nothing heavy is imported before `cgrseg.serving.app` is.
"""
