"""What a framework knows of a request: the template of its route, and the exception it has answered.

A client can choose any path, so a path must not become a label value. Only the framework knows the template that a path
has matched. `watch` hooks each framework's app, and `RequestFacts` travels with the request and takes what they tell.

The module of a framework is imported when an app of that framework is instrumented. It has two functions:

    watch(app)          hook this one app, so that it tells routes and exceptions; a second call changes nothing
    match(app, scope)   ask the app's own router, for an answer that was given before the router was asked
"""
