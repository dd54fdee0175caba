"""HTTP server: an API for programs and a web page for people.

    request -- middleware: id, token, log, metrics -- read the image, limited -- queue of its model -- response
                                                                                        |
                             decode, prepare (a few threads) -- engine (one thread) -- label, encode (a few threads)

Importing this package loads nothing heavy; `cgrseg.serving.app` does.
"""
