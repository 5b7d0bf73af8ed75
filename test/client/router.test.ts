import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Router } from '../../src/client/router.ts'
import type { Route, RouteMatch } from '../../src/discovery/model/route.ts'
import type { HeaderMatcher } from '../../src/policies/header-matcher.ts'
import { forward, path, route, routeConfiguration, virtualHost, weighted } from '../support/route-model.ts'
import { request } from '../support/route-request.ts'

function routerOf(...routes: Route[]) {
  return new Router(routeConfiguration([virtualHost(['a'], routes)]))
}

function whichPaths(match: Partial<RouteMatch>, paths: readonly string[]): string[] {
  const router = routerOf(route('r', match))
  return paths.filter(each => router.match(request(each), 0) !== null)
}

function exactHeader(name: string, value: string): HeaderMatcher {
  return {
    name,
    match: { kind: 'string', matcher: { kind: 'exact', value, ignoreCase: false } },
    invert: false,
    treatMissingAsEmpty: false,
  }
}

test('a domain is searched exact, then longest suffix, then longest prefix, then *', () => {
  const domains = ['www.foo.com', '*.foo.com', '*-bar.foo.com', 'www.*', 'www.foo.*', '*']
  const router = new Router(routeConfiguration(domains.map(domain => virtualHost([domain], [route(domain)]))))
  const find = (authority: string) => router.match(request('/', {}, { authority }), 0)?.name
  assert.equal(find('www.foo.com'), 'www.foo.com')
  assert.equal(find('WWW.Foo.Com'), 'www.foo.com')
  assert.equal(find('x-bar.foo.com'), '*-bar.foo.com')
  assert.equal(find('-bar.foo.com'), '*.foo.com')
  assert.equal(find('www.foo.org'), 'www.foo.*')
  assert.equal(find('www.bar.org'), 'www.*')
  assert.equal(find('www.bar.foo.com'), '*.foo.com', 'a suffix beats a prefix')
  assert.equal(find('else'), '*')
})

test('the same domain twice is refused', () => {
  const twice = routeConfiguration([virtualHost(['a'], []), virtualHost(['b', 'a'], [])])
  assert.throws(() => new Router(twice), /virtual host "b": domain "a" is there already/)
})

test('the port is part of the domain unless it is to be ignored, and never taken off a domain', () => {
  const hosts = [virtualHost(['a:80'], [route('with port')]), virtualHost(['a'], [route('without')])]
  const names = (ignorePortInHostMatching: boolean) => {
    const router = new Router(routeConfiguration(hosts, { ignorePortInHostMatching }))
    return ['a:80', 'a:81', 'a'].map(authority => router.match(request('/', {}, { authority }), 0)?.name)
  }
  assert.deepEqual(names(false), ['with port', undefined, 'without'])
  assert.deepEqual(names(true), ['without', 'without', 'without'])
})

test('path and regex leave the query out, a regex matches the whole path and an alternation is a whole too', () => {
  assert.deepEqual(whichPaths({ path: path('exact', '/a') }, ['/a', '/a?x', '/a/', '/A']), ['/a', '/a?x'])
  assert.deepEqual(whichPaths({ path: path('regex', '/a/b|/c/d') }, ['/a/b', '/c/d?x', '/a/bEXTRA', '/XX/c/d']), [
    '/a/b',
    '/c/d?x',
  ])
})

test('a prefix is of bytes and a separated prefix is of segments', () => {
  const paths = ['/api/dev', '/api/dev/', '/api/dev/v1', '/api/dev?x', '/api/developer']
  assert.deepEqual(whichPaths({ path: path('prefix', '/api/dev') }, paths), paths)
  assert.deepEqual(whichPaths({ path: path('separated-prefix', '/api/dev') }, paths), paths.slice(0, 4))
})

test('case is ignored when asked, and never by a regex', () => {
  assert.deepEqual(whichPaths({ path: path('exact', '/Ab', true) }, ['/aB']), ['/aB'])
  assert.deepEqual(whichPaths({ path: path('separated-prefix', '/Ab', true) }, ['/aB/C', '/aBc']), ['/aB/C'])
  assert.deepEqual(whichPaths({ path: path('regex', '/Ab') }, ['/aB']), [])
})

test('a path template takes one segment or many', () => {
  assert.deepEqual(whichPaths({ path: path('template', '/users/{id}/x') }, ['/users/1/x?y', '/users/1/2/x', '/users//x']), [
    '/users/1/x?y',
  ])
  assert.deepEqual(whichPaths({ path: path('template', '/f/{rest=**}') }, ['/f/a/b', '/f/', '/g/a']), ['/f/a/b', '/f/'])
})

test('the first route that matches wins, even if a later one says more', () => {
  const router = routerOf(route('short', { path: path('prefix', '/a') }), route('exact', { path: path('exact', '/a/b') }))
  assert.equal(router.match(request('/a/b'), 0)?.name, 'short')
})

test('all headers, pseudo headers and query parameters of a match must match', () => {
  const router = routerOf(
    route('r', {
      headers: [exactHeader(':method', 'POST'), exactHeader('x-user', 'jason'), exactHeader('host', 'a')],
      queryParameters: [{ name: 'v', match: { kind: 'string', matcher: { kind: 'exact', value: '2', ignoreCase: false } } }],
    }),
  )
  const matched = (target: string, headers: Record<string, string>, method = 'POST') =>
    router.match(request(target, headers, { method }), 0) !== null
  assert.ok(matched('/?v=2', { 'X-User': 'jason' }))
  assert.ok(!matched('/?v=1&v=2', { 'X-User': 'jason' }))
  assert.ok(!matched('/?v=2', { 'X-User': 'jason' }, 'GET'))
  assert.ok(!matched('/?v=2', {}))
})

test('a gRPC match asks for the content type', () => {
  const router = routerOf(route('grpc', { grpcOnly: true }))
  const matched = (type: string) => router.match(request('/', { 'Content-Type': type }), 0) !== null
  assert.deepEqual(['application/grpc', 'application/grpc+proto', 'application/grpc-web', 'application/json'].map(matched), [
    true,
    true,
    false,
    false,
  ])
})

test('a runtime fraction takes what is strictly below its numerator', () => {
  const router = routerOf(route('some', { runtimeFraction: { numerator: 10, denominator: 100 } }), route('rest'))
  assert.deepEqual(
    [0, 0.0999, 0.1, 0.99].map(random => router.match(request(), random)?.name),
    ['some', 'some', 'rest', 'rest'],
  )
})

test('weights are half-open intervals in list order, and a weight of 0 takes nothing', () => {
  const router = routerOf(route('r', {}, forward({ clusters: weighted({ none: 0, v1: 90, v2: 10 }) })))
  const action = router.match(request(), 0)?.action
  assert.ok(action?.kind === 'forward')
  const pick = (random: number) => action.forward.pickTarget(request(), random)?.clusterName
  assert.deepEqual([0, 0.8999, 0.9, 0.999999].map(pick), ['v1', 'v1', 'v2', 'v2'])
})

test('a number in the configured header chooses the cluster, and anything else leaves it to chance', () => {
  const router = routerOf(route('r', {}, forward({ clusters: weighted({ v1: 1, v2: 1 }, 'x-pick') })))
  const action = router.match(request(), 0)?.action
  assert.ok(action?.kind === 'forward')
  const pick = (value: string, random: number) =>
    action.forward.pickTarget(request('/', { 'x-pick': value }), random)?.clusterName
  assert.equal(pick('3', 0), 'v2')
  assert.equal(pick('18446744073709551614', 0.9), 'v1')
  assert.equal(pick('18446744073709551616', 0.9), 'v2')
  assert.equal(pick('-1', 0.9), 'v2')
})

test('a cluster named by a header is its first value, and none without it', () => {
  const router = routerOf(route('r', {}, forward({ clusters: { kind: 'header', header: 'x-cluster' } })))
  const action = router.match(request(), 0)?.action
  assert.ok(action?.kind === 'forward')
  assert.equal(action.forward.pickTarget(request('/', { 'x-cluster': ['b', 'c'] }), 0)?.clusterName, 'b')
  assert.equal(action.forward.pickTarget(request(), 0), null)
  const first = action.forward.pickTarget(request('/', { 'x-cluster': 'b' }), 0)
  assert.equal(first, action.forward.pickTarget(request('/', { 'x-cluster': 'b' }), 0), 'the target keeps its identity')
})

test('the route keeps its identity, and what was attached to it and its targets', () => {
  const router = new Router<string, string>(
    routeConfiguration([virtualHost(['a'], [route('r', {}, forward({ clusters: weighted({ v1: 1, v2: 1 }) }))])]),
    { route: each => `route ${each.name}`, target: each => `${each.route.attachment} to ${each.clusterName}` },
  )
  const matched = router.match(request(), 0)
  assert.equal(matched, router.match(request('/x'), 0.5))
  assert.equal(matched?.attachment, 'route r')
  assert.ok(matched?.action.kind === 'forward')
  assert.equal(matched.action.forward.pickTarget(request(), 0.6)?.attachment, 'route r to v2')
})

test("the route's retry policy replaces its virtual host's", () => {
  const policy = {
    retryOn: ['5xx' as const],
    numRetries: 1,
    perTryTimeoutMs: undefined,
    perTryIdleTimeoutMs: undefined,
    retriableStatusCodes: [],
    retriableHeaders: [],
    retriableRequestHeaders: [],
    backOff: { baseIntervalMs: 25, maxIntervalMs: 250 },
    rateLimitedBackOff: undefined,
    avoidPreviousHosts: false,
    hostSelectionMaxAttempts: 1,
  }
  const own = { ...policy, numRetries: 5 }
  const routes = [route('own', { path: path('exact', '/own') }, forward({ retryPolicy: own })), route('inherited')]
  const router = new Router(routeConfiguration([virtualHost(['a'], routes, { retryPolicy: policy })]))
  const retries = (target: string) => {
    const action = router.match(request(target), 0)?.action
    return action?.kind === 'forward' ? action.forward.retryPolicy?.numRetries : undefined
  }
  assert.deepEqual(['/own', '/'].map(retries), [5, 1])
})

test('what cannot be compiled names its virtual host and route', () => {
  assert.throws(
    () => routerOf(route('broken', { path: path('regex', '(') })),
    /virtual host "a": route "broken": .*missing closing/,
  )
})
