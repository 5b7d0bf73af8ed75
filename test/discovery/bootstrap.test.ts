import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { type Bootstrap, loadBootstrap } from '../../src/discovery/bootstrap.ts'
import { xdsServerKey } from '../../src/discovery/xds-server.ts'
import { isMeshError } from '../../src/errors.ts'

const self = { hostname: 'host', pid: 7, unique: 'abc' }
const server = { server_uri: 'cp:15010', channel_creds: [{ type: 'insecure' }] }
const noFile = () => {
  throw new Error('ENOENT: no such file')
}

const inline = (json: unknown, env: Record<string, string> = {}): Bootstrap => {
  const text = typeof json === 'string' ? json : JSON.stringify(json)
  const bootstrap = loadBootstrap({ GRPC_XDS_BOOTSTRAP_CONFIG: text, ...env }, noFile, self)
  assert.ok(bootstrap)
  return bootstrap
}

const refused = (act: () => unknown): string => {
  try {
    act()
  } catch (error) {
    assert.ok(isMeshError(error) && error.code === 'MESH_ERR_BOOTSTRAP')
    return error.message
  }
  return 'accepted'
}

test('with nothing set there is no bootstrap', () => {
  assert.equal(loadBootstrap({}, noFile, self), undefined)
})

test('the file wins over the inline JSON, which wins over the address', () => {
  const json = (uri: string) => JSON.stringify({ xds_servers: [{ ...server, server_uri: uri }] })
  const env = { GRPC_XDS_BOOTSTRAP: 'b.json', GRPC_XDS_BOOTSTRAP_CONFIG: json('inline:1'), INMESH_CONTROL_PLANE: 'address:1' }
  const paths: string[] = []
  const readFile = (path: string) => {
    paths.push(path)
    return json('file:1')
  }
  assert.equal(loadBootstrap(env, readFile, self)?.servers[0].uri, 'file:1')
  assert.deepEqual(paths, [resolve('b.json')])
  assert.equal(loadBootstrap({ ...env, GRPC_XDS_BOOTSTRAP: '' }, noFile, self)?.servers[0].uri, 'inline:1')
  assert.equal(loadBootstrap({ INMESH_CONTROL_PLANE: 'address:1' }, noFile, self)?.servers[0].uri, 'address:1')
})

test('an address alone means plaintext and incremental xDS', () => {
  const bootstrap = loadBootstrap({ INMESH_CONTROL_PLANE: '[::1]:15010', INMESH_SERVICE: 'reviews' }, noFile, self)
  assert.deepEqual(bootstrap?.servers, [
    { uri: '[::1]:15010', credentials: { kind: 'insecure' }, callCredentials: [], features: [], delta: true },
  ])
  assert.equal(bootstrap?.node.cluster, 'reviews')
  assert.equal(bootstrap?.node.id, 'reviews~host~7~abc')
  for (const bad of ['cp', 'http://cp:1', 'cp:', 'cp:port', ' :1']) {
    const message = refused(() => loadBootstrap({ INMESH_CONTROL_PLANE: bad }, noFile, self))
    assert.equal(message, `INMESH_CONTROL_PLANE: must be host:port, got ${JSON.stringify(bad)}`)
  }
})

test('the node is optional and completed from the environment', () => {
  const { node } = inline(
    { xds_servers: [server] },
    { INMESH_SERVICE: 'reviews', INMESH_LABELS: 'version=v2, app=reviews', INMESH_LOCALITY: 'eu/eu-1/a', INMESH_NODE_ID: 'me' },
  )
  assert.equal(node.id, 'me')
  assert.equal(node.cluster, 'reviews')
  assert.deepEqual(node.locality, { region: 'eu', zone: 'eu-1', subZone: 'a' })
  assert.deepEqual(node.metadata, { NAMESPACE: 'default', LABELS: { version: 'v2', app: 'reviews' } })
  assert.equal(node.userAgentName, 'inmesh')
  assert.ok(node.clientFeatures.includes('xds.config.resource-in-sotw'))
})

test('what the bootstrap says of the node wins over the environment', () => {
  const given = { id: 'x', cluster: 'c', locality: { zone: 'z' }, metadata: { NAMESPACE: 'prod', LABELS: { version: 'v1' } } }
  const { node } = inline(
    { xds_servers: [server], node: given },
    { INMESH_SERVICE: 'reviews', INMESH_LABELS: 'version=v2,app=reviews', INMESH_LOCALITY: 'eu', INMESH_NODE_ID: 'me' },
  )
  assert.deepEqual([node.id, node.cluster, node.locality], ['x', 'c', { region: '', zone: 'z', subZone: '' }])
  assert.deepEqual(node.metadata, { NAMESPACE: 'prod', LABELS: { version: 'v1', app: 'reviews' } })
})

test('unknown fields, features, credentials and certificate plugins are passed over', () => {
  const { servers, certificateProviders } = inline({
    future: { a: 1 },
    xds_servers: [
      {
        server_uri: 'unix:///etc/istio/proxy/XDS',
        channel_creds: [{ type: 'google_default' }, { type: 'quantum', config: 7 }, { type: 'insecure' }],
        server_features: ['xds_v3', { odd: true }, 'inmesh.delta'],
        call_creds: [{ type: 'quantum', config: 7 }, {}],
      },
    ],
    node: { id: 'x', build: 1 },
    certificate_providers: { default: { plugin_name: 'no_such_plugin', config: { a: 1 } } },
  })
  assert.deepEqual(servers[0], {
    uri: 'unix:///etc/istio/proxy/XDS',
    credentials: { kind: 'insecure' },
    callCredentials: [],
    features: ['xds_v3', 'inmesh.delta'],
    delta: true,
  })
  assert.deepEqual(certificateProviders, { default: { pluginName: 'no_such_plugin', config: { a: 1 } } })
})

test('defect 12: a bootstrap without node.locality and with an unknown plugin loads, and features tell servers apart', () => {
  const of = (...features: string[]) =>
    inline({
      xds_servers: [{ ...server, server_features: features }],
      node: { id: 'x' },
      certificate_providers: { a: { plugin_name: 'zzz' } },
    }).servers[0]
  assert.notEqual(xdsServerKey(of()), xdsServerKey(of('fail_on_data_errors')))
  assert.equal(xdsServerKey(of('a', 'b')), xdsServerKey(of('b', 'a')))
})

test('TLS credentials name absolute files, both halves of a pair or none', () => {
  const tls = (config?: object) => inline({ xds_servers: [{ ...server, channel_creds: [{ type: 'tls', config }] }] }).servers[0]
  assert.deepEqual(tls().credentials, { kind: 'tls', caCertificateFile: undefined, identity: undefined })
  assert.deepEqual(tls({ ca_certificate_file: 'ca.pem', certificate_file: 'c.pem', private_key_file: '/k.pem' }).credentials, {
    kind: 'tls',
    caCertificateFile: resolve('ca.pem'),
    identity: { certificateFile: resolve('c.pem'), privateKeyFile: '/k.pem' },
  })
  assert.match(
    refused(() => tls({ certificate_file: 'c.pem' })),
    /xds_servers\[0\]\.channel_creds\[0\]\.config\.private_key_file: must be set, since certificate_file is$/,
  )
})

test('call credentials are all those of a known type, with the absolute path of their token (A97)', () => {
  const of = (...call_creds: unknown[]) => inline({ xds_servers: [{ ...server, call_creds }] }).servers[0]
  const file = (jwt_token_file: string) => ({ type: 'jwt_token_file', config: { jwt_token_file, future: 1 } })
  const unknown = { type: 'quantum', config: { jwt_token_file: 7 } }
  assert.deepEqual(of(unknown, file('a'), file('/b')).callCredentials, [
    { kind: 'jwt-token-file', path: resolve('a') },
    { kind: 'jwt-token-file', path: '/b' },
  ])
  assert.notEqual(xdsServerKey(of()), xdsServerKey(of(file('/a'))))
  const wrong = /xds_servers\[0\]\.call_creds\[0\]\.config: must have jwt_token_file: the path of the token$/
  for (const config of [undefined, null, {}, { jwt_token_file: '' }])
    assert.match(
      refused(() => of({ type: 'jwt_token_file', config })),
      wrong,
    )
  assert.match(
    refused(() => of({ type: 'jwt_token_file', config: { jwt_token_file: 7 } })),
    /call_creds\[0\]\.config\.jwt_token_file: must be a string, got 7$/,
  )
})

test('a mistake is named by its path', () => {
  const cases: readonly [unknown, string][] = [
    [[], 'the document: must be an object, got []'],
    [{}, 'xds_servers: must name at least one server'],
    [{ xds_servers: {} }, 'xds_servers: must be a list, got {}'],
    [{ xds_servers: [7] }, 'xds_servers[0]: must be an object, got 7'],
    [{ xds_servers: [{ channel_creds: [] }] }, 'xds_servers[0].server_uri: must be set: the host:port of the control plane'],
    [{ xds_servers: [{ ...server, server_uri: 1 }] }, 'xds_servers[0].server_uri: must be a string, got 1'],
    [
      { xds_servers: [server, { server_uri: 'b', channel_creds: [] }] },
      'xds_servers[1].channel_creds: none given: must have "insecure" or "tls"',
    ],
    [
      { xds_servers: [{ server_uri: 'b', channel_creds: [{ type: 'google_default' }] }] },
      'xds_servers[0].channel_creds: "google_default" not supported: must have "insecure" or "tls"',
    ],
    [{ xds_servers: [server], node: { locality: 'eu' } }, 'node.locality: must be an object, got "eu"'],
  ]
  for (const [json, message] of cases) {
    assert.equal(
      refused(() => inline(json)),
      `bootstrap GRPC_XDS_BOOTSTRAP_CONFIG: ${message}`,
    )
  }
})

test('text that is not JSON is named by file, line and column', () => {
  const cases: readonly [string, string][] = [
    ['{\n  "xds_servers": [\n    {"server_uri" "x"}]}', "3:19: is not JSON: expected ':' after property name"],
    ['{\n "a": x\n}', "2:7: is not JSON: unexpected token 'x'"],
    ['{"a": 1', "1:8: is not JSON: expected ',' or '}' after property value"],
    ['{"a": "', '1:8: is not JSON: unterminated string'],
    ['not json', "1:2: is not JSON: unexpected token 'o'"],
    ['{"a": 1}\n}', '2:1: is not JSON: unexpected non-whitespace character after JSON'],
    ['[,]', "1:2: is not JSON: unexpected token ','"],
  ]
  for (const [text, reason] of cases) {
    const message = refused(() => loadBootstrap({ GRPC_XDS_BOOTSTRAP: '/b.json' }, () => text, self))
    assert.equal(message, `bootstrap /b.json:${reason}`)
  }
})

test('a file that cannot be read is named with the reason', () => {
  const message = refused(() => loadBootstrap({ GRPC_XDS_BOOTSTRAP: '/missing.json' }, noFile, self))
  assert.equal(message, 'bootstrap /missing.json, which GRPC_XDS_BOOTSTRAP names, cannot be read: ENOENT: no such file')
})

test('labels and a locality that cannot be read are refused by name', () => {
  assert.match(
    refused(() => inline({ xds_servers: [server] }, { INMESH_LABELS: 'version' })),
    /^INMESH_LABELS: must be key=value pairs, got "version"$/,
  )
  assert.match(
    refused(() => inline({ xds_servers: [server] }, { INMESH_LOCALITY: 'a/b/c/d' })),
    /^INMESH_LOCALITY: must be region/,
  )
})

test('authorities have servers and a template of their own, or those of the top (gRFC A47)', () => {
  const other = { server_uri: 'other:1', channel_creds: [{ type: 'insecure' }] }
  const template = 'xdstp://a/envoy.config.listener.v3.Listener/grpc/%s?env=prod'
  const { servers, authorities } = inline({
    xds_servers: [server],
    authorities: {
      a: { xds_servers: [other, server], client_listener_resource_name_template: template },
      'b c': {},
      '': {},
    },
  })
  assert.deepEqual(
    authorities.get('a')?.servers.map(({ uri }) => uri),
    ['other:1', 'cp:15010'],
  )
  assert.equal(authorities.get('a')?.listenerTemplate, template)
  assert.equal(authorities.get('b c')?.servers, servers)
  assert.equal(authorities.get('b c')?.listenerTemplate, 'xdstp://b%20c/envoy.config.listener.v3.Listener/%s')
  assert.equal(authorities.get('')?.listenerTemplate, 'xdstp:///envoy.config.listener.v3.Listener/%s')
})

test('the template of an authority must begin with it', () => {
  const json = { xds_servers: [server], authorities: { a: { client_listener_resource_name_template: 'xdstp://b/x/%s' } } }
  assert.match(
    refused(() => inline(json)),
    /: authorities\.a\.client_listener_resource_name_template: must begin with xdstp:\/\/a\/, got "xdstp:\/\/b\/x\/%s"$/,
  )
})
