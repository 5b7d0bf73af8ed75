import assert from 'node:assert/strict'
import { test } from 'node:test'
import { finalizeRequest, needsFinalizing } from '../../src/client/finalize-request.ts'
import { FlatHeaders } from '../../src/client/flat-headers.ts'
import { Router } from '../../src/client/router.ts'
import type { ForwardAction, PathMatch, RouteConfiguration, VirtualHost } from '../../src/discovery/model/route.ts'
import { type HeaderMutations, type HeaderValueOption, noHeaderMutations } from '../../src/policies/header-mutation.ts'
import { forward, path, route, routeConfiguration, virtualHost, weighted } from '../support/route-model.ts'
import { request } from '../support/route-request.ts'

interface Setup {
  readonly action?: Partial<ForwardAction>
  readonly path?: PathMatch
  readonly route?: HeaderMutations
  readonly virtualHost?: Partial<VirtualHost>
  readonly configuration?: Partial<RouteConfiguration>
}

function finalize(setup: Setup, target: string, headers: string[] = []) {
  const one = route('r', { path: setup.path ?? path('prefix', '/') }, forward(setup.action), {
    headerMutations: setup.route ?? noHeaderMutations,
  })
  const router = new Router(routeConfiguration([virtualHost(['a'], [one], setup.virtualHost)], setup.configuration))
  const sent = request(target, headers)
  const action = router.match(sent, 0)?.action
  assert.ok(action?.kind === 'forward')
  const chosen = action.forward.pickTarget(sent, 0)
  assert.ok(chosen)
  const flat = FlatHeaders.from(headers)
  const finalized = finalizeRequest(chosen, sent, flat, name => (name === 'UPSTREAM_CLUSTER' ? chosen.clusterName : undefined))
  return { ...finalized, headers: flat.list, needed: needsFinalizing(chosen) }
}

function set(name: string, value: string, more: Partial<HeaderValueOption> = {}): HeaderMutations {
  const option: HeaderValueOption = { name, value, action: 'overwrite-if-exists-or-add', keepEmptyValue: false, ...more }
  return { ...noHeaderMutations, requestAdd: [option] }
}

test('a route without rewrites needs nothing', () => {
  assert.deepEqual(finalize({}, '/x?y', ['a', 'b']), { path: '/x?y', authority: 'a', headers: ['a', 'b'], needed: false })
})

const rewrites: readonly (readonly [string, PathMatch, ForwardAction['pathRewrite'], string, string])[] = [
  ['a prefix', path('prefix', '/old'), { kind: 'prefix', value: '/new' }, '/old/x?q', '/new/x?q'],
  ['a prefix of bytes', path('prefix', '/'), { kind: 'prefix', value: '/all' }, '/x/y', '/allx/y'],
  ['an exact path whole', path('exact', '/old'), { kind: 'prefix', value: '/new' }, '/old?q', '/new?q'],
  ['a regex match whole', path('regex', '/o.*'), { kind: 'prefix', value: '/new' }, '/old/x?q', '/new?q'],
  [
    'every match of a regex',
    path('prefix', '/'),
    { kind: 'regex', regex: 'o(.)', substitution: '[\\1\\0]' },
    '/ob/oc?ox',
    '/[bob]/[coc]?ox',
  ],
  ['a template', path('template', '/{a}/{b}'), { kind: 'template', template: '/{b}/x/{a}' }, '/1/2?q', '/2/x/1?q'],
]
for (const [title, matched, pathRewrite, from, to] of rewrites) {
  test(`the path is rewritten: ${title}`, () => {
    const { path: sent, headers } = finalize({ path: matched, action: { pathRewrite } }, from)
    assert.equal(sent, to)
    assert.deepEqual(headers, ['x-envoy-original-path', from])
  })
}

test('the host is rewritten literally, from a header, by the path, and by the weighted cluster first', () => {
  const host = (action: Partial<ForwardAction>, target = '/', headers: string[] = []) =>
    finalize({ action }, target, headers).authority
  assert.equal(host({ hostRewrite: { kind: 'literal', value: 'b' } }), 'b')
  assert.equal(host({ hostRewrite: { kind: 'header', header: 'x-host' } }, '/', ['X-Host', 'c']), 'c')
  assert.equal(host({ hostRewrite: { kind: 'header', header: 'x-host' } }), 'a')
  const byPath = { kind: 'path-regex', regex: '^/(\\w+)/.*$', substitution: '\\1.svc' } as const
  assert.equal(host({ hostRewrite: byPath }, '/d/x?y/z'), 'd.svc')
  const clusters = weighted({ v1: 1 }, '', { hostRewrite: 'e' })
  assert.equal(host({ hostRewrite: { kind: 'literal', value: 'b' }, clusters }), 'e')
})

test('the original host is kept in a header, and appended to x-forwarded-host when asked', () => {
  const action = { hostRewrite: { kind: 'literal', value: 'b' }, appendXForwardedHost: true } as const
  assert.deepEqual(finalize({ action }, '/', ['x-forwarded-host', 'z']).headers, [
    'x-forwarded-host',
    'z',
    'x-envoy-original-host',
    'a',
    'x-forwarded-host',
    'a',
  ])
})

test('weighted cluster, route, virtual host and configuration are applied in that order, so the last wins', () => {
  const setup = (mostSpecificHeaderMutationsWins: boolean): Setup => ({
    action: { clusters: weighted({ v1: 1 }, '', { headerMutations: set('x', 'cluster') }) },
    route: set('x', 'route'),
    virtualHost: { headerMutations: set('x', 'host') },
    configuration: { headerMutations: set('x', 'configuration'), mostSpecificHeaderMutationsWins },
  })
  assert.deepEqual(finalize(setup(false), '/').headers, ['x', 'configuration'])
  assert.deepEqual(finalize(setup(true), '/').headers, ['x', 'route'], 'and the weighted cluster comes first either way')
})

test('the values of a level are all formatted before any is applied', () => {
  const mutations: HeaderMutations = {
    ...noHeaderMutations,
    requestAdd: [...set('a', '%REQ(b)%').requestAdd, ...set('b', '%REQ(a)%').requestAdd],
  }
  assert.deepEqual(finalize({ route: mutations }, '/', ['a', '1', 'b', '2']).headers, ['a', '2', 'b', '1'])
})

test('an empty value changes nothing unless it is to be kept', () => {
  assert.deepEqual(finalize({ route: set('x', '%REQ(missing)%') }, '/', ['X', 'old']).headers, ['X', 'old'])
  assert.deepEqual(finalize({ route: set('x', '') }, '/', ['X', 'old']).headers, ['X', 'old'])
  assert.deepEqual(finalize({ route: set('x', '', { keepEmptyValue: true }) }, '/', ['X', 'old']).headers, ['X', ''])
})

test('pseudo headers, alternatives, lengths and other commands are formatted', () => {
  const value =
    '%REQ(:METHOD)% %REQ(:path)% %REQ(x-none?:AUTHORITY)% %REQ(x-long):3% 100%% %UPSTREAM_CLUSTER%%DOWNSTREAM_REMOTE_ADDRESS%'
  assert.deepEqual(finalize({ route: set('x', value) }, '/p?q', ['x-long', 'abcdef']).headers, [
    'x-long',
    'abcdef',
    'x',
    'GET /p?q a abc 100% c',
  ])
})

test('each append action does what it says', () => {
  const result = (action: HeaderValueOption['action'], headers: string[]) =>
    finalize({ route: set('x', 'new', { action }) }, '/', headers).headers
  const there = () => ['X', 'old', 'y', '1', 'x', 'older']
  assert.deepEqual(result('append-if-exists-or-add', there()), ['X', 'old', 'y', '1', 'x', 'older', 'x', 'new'])
  assert.deepEqual(result('add-if-absent', there()), there())
  assert.deepEqual(result('overwrite-if-exists-or-add', there()), ['X', 'new', 'y', '1'])
  assert.deepEqual(result('overwrite-if-exists', there()), ['X', 'new', 'y', '1'])
  assert.deepEqual(result('add-if-absent', []), ['x', 'new'])
  assert.deepEqual(result('overwrite-if-exists', []), [])
})

test('a level removes before it adds', () => {
  const mutations = { ...set('x', 'new', { action: 'append-if-exists-or-add' }), requestRemove: ['x', 'y'] }
  assert.deepEqual(finalize({ route: mutations }, '/', ['X', '1', 'Y', '2', 'x', '3']).headers, ['x', 'new'])
})
