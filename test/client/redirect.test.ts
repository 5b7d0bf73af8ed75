import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DirectResponse } from '../../src/client/direct-response.ts'
import { Redirect } from '../../src/client/redirect.ts'
import type { PathMatch, RedirectAction } from '../../src/discovery/model/route.ts'
import { match, path } from '../support/route-model.ts'
import { request } from '../support/route-request.ts'

const keep: RedirectAction = {
  kind: 'redirect',
  status: 301,
  scheme: undefined,
  host: undefined,
  port: undefined,
  path: undefined,
  stripQuery: false,
}

function location(action: Partial<RedirectAction>, target: string, authority = 'a', matched: PathMatch = path('prefix', '/')) {
  return new Redirect({ ...keep, ...action }, match({ path: matched })).location(request(target, {}, { authority }))
}

test('a redirect keeps what it does not change', () => {
  assert.equal(location({ host: 'b' }, '/x?y=1'), 'http://b/x?y=1')
  assert.equal(location({ scheme: 'https' }, '/x', 'a:8080'), 'https://a:8080/x')
})

test('the default port of the scheme that is left is taken off, and a new port replaces the old one', () => {
  assert.equal(location({ scheme: 'https' }, '/', 'a:80'), 'https://a/')
  assert.equal(location({ scheme: 'https' }, '/', '[::1]:80'), 'https://[::1]/')
  assert.equal(location({ path: { kind: 'replace', value: '/y' } }, '/', 'a:80'), 'http://a:80/y')
  assert.equal(location({ port: 8443 }, '/', 'a:80'), 'http://a:8443/')
  assert.equal(location({ port: 8443 }, '/', '[::1]'), 'http://[::1]:8443/')
})

test("a query inside the new path replaces the request's and survives strip_query", () => {
  assert.equal(location({ path: { kind: 'replace', value: '/y' } }, '/x?q=1'), 'http://a/y?q=1')
  assert.equal(location({ path: { kind: 'replace', value: '/y' }, stripQuery: true }, '/x?q=1'), 'http://a/y')
  assert.equal(location({ path: { kind: 'replace', value: '/y?z' }, stripQuery: true }, '/x?q=1'), 'http://a/y?z')
})

test('a new path gets the slash it lacks', () => {
  assert.equal(location({ path: { kind: 'replace', value: '%PREFIX()%/new' } }, '/old'), 'http://a/%PREFIX()%/new')
})

test('a prefix or a regex rewrites the path', () => {
  assert.equal(location({ path: { kind: 'prefix', value: '/new' } }, '/old/x?q', 'a', path('prefix', '/old')), 'http://a/new/x?q')
  const regex = { kind: 'regex', regex: '/(\\w+)/(\\w+)', substitution: '/\\2/\\1' } as const
  assert.equal(location({ path: regex, stripQuery: true }, '/a/b?q'), 'http://a/b/a')
})

test('a direct response carries a Location for 201 and 3xx only', () => {
  const locations = [200, 201, 302, 404].map(status =>
    new DirectResponse({ kind: 'direct-response', status, body: '' }).location(request('/x')),
  )
  assert.deepEqual(locations, [undefined, 'http://a/x', 'http://a/x', undefined])
})
