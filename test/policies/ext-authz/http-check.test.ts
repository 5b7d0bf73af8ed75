import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { CheckAttributes } from '../../../src/policies/ext-authz/check-attributes.ts'
import type { HttpAuthorizer } from '../../../src/policies/ext-authz/ext-authz-config.ts'
import { selectCheckHeaders } from '../../../src/policies/ext-authz/header-selection.ts'
import { HttpCheckDialect } from '../../../src/policies/ext-authz/http-check.ts'
import { exact, prefix } from '../../support/rbac-rules.ts'

const authorizer: HttpAuthorizer = {
  kind: 'http',
  cluster: 'authz',
  timeoutMs: 0,
  pathPrefix: '',
  headersToAdd: [],
  upstreamHeaders: [],
  upstreamHeadersToAppend: [],
  clientHeaders: [],
  clientHeadersOnSuccess: [],
  metadataHeaders: [],
}
const dialect = (change: Partial<HttpAuthorizer> = {}) => new HttpCheckDialect({ ...authorizer, ...change })
const nobody = { address: '', port: 0, principal: '', certificate: '' }
const attributes: CheckAttributes = {
  source: nobody,
  destination: nobody,
  contextExtensions: {},
  metadata: {},
  serverName: undefined,
  request: {
    ...{ id: '1', timeMs: 0, method: 'PUT', path: '/a?b', host: 'h', scheme: 'http', size: 2, protocol: 'HTTP/1.1' },
    headers: [':path', '/a?b', 'x-a', '1', 'x-a', '2', 'content-length', '9', 'connection', 'close', 'x-b', 'b'],
    body: { bytes: Buffer.from('hi'), isPartial: false },
  },
}

test('a check is the request itself, with headers that are added in place of its own', () => {
  assert.deepEqual(dialect({ pathPrefix: '/check' }).request(attributes, ['x-b', 'added']), {
    method: 'PUT',
    path: '/check/a?b',
    host: 'h',
    headers: ['x-a', '1', 'x-a', '2', 'x-envoy-auth-partial-body', 'false', 'x-b', 'added'],
    body: Buffer.from('hi'),
  })
})

describe('an answer', () => {
  const answer = (status: number, ...headers: readonly string[]) => ({ status, headers, body: Buffer.from('body') })
  const change = (name: string, value: string, action: string) => ({ name, value, action })

  test('200 lets pass, with the headers that are asked for', () => {
    const decision = dialect({
      upstreamHeaders: [exact('x-user'), prefix('x-set-')],
      upstreamHeadersToAppend: [exact('x-more')],
      clientHeadersOnSuccess: [exact('x-told')],
      metadataHeaders: [exact('x-role')],
    }).decision(
      answer(
        200,
        'X-User',
        'me',
        'x-set-a',
        'b',
        'x-more',
        'm',
        'x-told',
        't',
        'x-role',
        'r',
        'x-envoy-auth-headers-to-remove',
        'a, B,',
      ),
    )
    assert.deepEqual(decision, {
      kind: 'allowed',
      requestHeaders: [
        change('x-user', 'me', 'overwrite-if-exists-or-add'),
        change('x-set-a', 'b', 'overwrite-if-exists-or-add'),
        change('x-more', 'm', 'append-if-exists-or-add'),
      ],
      requestHeadersToRemove: ['a', 'b'],
      responseHeaders: [change('x-told', 't', 'append-if-exists-or-add')],
      queryToSet: [],
      queryToRemove: [],
      metadata: { 'x-role': 'r' },
    })
  })

  test('nothing else does: 5xx is none, every other status a denial', () => {
    for (const status of [201, 204, 301, 302, 400, 401, 403, 404, 499])
      assert.equal(dialect().decision(answer(status)).kind, 'denied')
    for (const status of [500, 503, 599]) assert.equal(dialect().decision(answer(status)).kind, 'failed')
  })

  test('a denial has all headers but those that frame it, or those that are named and what a login needs', () => {
    const given = answer(
      401,
      'x-why',
      'a',
      'x-other',
      'b',
      'WWW-Authenticate',
      'Basic',
      'content-length',
      '4',
      'connection',
      'close',
    )
    const names = (change: Partial<HttpAuthorizer>) => {
      const decision = dialect(change).decision(given)
      return decision.kind === 'denied' ? decision.headers.map(({ name }) => name) : []
    }
    assert.deepEqual(names({}), ['x-why', 'x-other', 'www-authenticate'])
    assert.deepEqual(names({ clientHeaders: [exact('x-why')] }), ['x-why', 'www-authenticate'])
  })
})

test('which headers an authorizer is told of', () => {
  const names = [':method', ':path', ':authority', ':scheme', 'authorization', 'x-a', 'x-b']
  const told = (...args: Parameters<typeof selectCheckHeaders>) => names.filter(selectCheckHeaders(...args))
  assert.deepEqual(told('grpc', undefined, []), names)
  assert.deepEqual(
    told('grpc', undefined, [exact('authorization')]),
    names.filter(name => name !== 'authorization'),
  )
  assert.deepEqual(told('grpc', [prefix('x-')], [exact('x-b')]), ['x-a'])
  assert.deepEqual(told('http', undefined, []), [':method', ':path', ':authority', 'authorization'])
  assert.deepEqual(told('http', [exact('x-a')], [exact('authorization')]), [':method', ':path', ':authority', 'x-a'])
})
