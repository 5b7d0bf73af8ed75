import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { loadStaticConfig } from '../../src/discovery/static-config.ts'
import type { Logger } from '../../src/runtime.ts'
import { silentLogger } from '../../src/runtime.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { seededRandom } from '../support/seeded-random.ts'

async function load(context: TestContext, text: string, name = 'mesh.yaml', logger: Logger = silentLogger) {
  const folder = await mkdtemp(join(tmpdir(), 'static-config-'))
  context.after(() => rm(folder, { recursive: true }))
  const path = join(folder, name)
  await writeFile(path, text)
  return loadStaticConfig(path, { clock: new ManualClock(), random: seededRandom(1), logger }).catch(error => {
    // The folder is made up.
    error.message = error.message.replaceAll(`${folder}/`, '')
    throw error
  })
}

const envoy = `
node: {id: x}
admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}
static_resources:
  listeners:
    - name: outbound
      address: {socket_address: {address: 127.0.0.1, port_value: 15001}}
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: out
                access_log:
                  - name: stdout
                    filter: {not_health_check_filter: {}}
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog}
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
                route_config:
                  virtual_hosts:
                    - name: reviews
                      domains: [reviews, "*.reviews.local"]
                      routes:
                        - match: {prefix: /}
                          route: {cluster: reviews, timeout: 1.5s, retry_policy: {retry_on: "5xx,gateway-error", num_retries: 3}}
    - name: tcp
      filter_chains:
        - filters:
            - name: tcp
              typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, cluster: x}
  clusters:
    - name: reviews
      type: STATIC
      lb_policy: LEAST_REQUEST
      connect_timeout: 0.25s
      load_assignment:
        cluster_name: reviews
        endpoints:
          - lb_endpoints:
              - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 9080}}}
`

test('an Envoy file makes every authority watchable that a virtual host of it matches', async context => {
  const warnings: string[] = []
  const source = await load(context, envoy, 'mesh.yaml', { ...silentLogger, warn: message => warnings.push(message) })
  let changes = 0
  source.onChange(() => changes++)
  for (const authority of ['reviews', 'v1.reviews.local', 'ratings']) source.watch(authority)
  source.watch('reviews')
  assert.equal(changes, 3)
  const { targets, clusters } = source.current
  assert.deepEqual(
    ['reviews', 'v1.reviews.local', 'ratings'].map(authority => targets.get(authority)?.kind),
    ['ready', 'ready', 'failed'],
  )
  assert.deepEqual(source.domains, ['reviews', '*.reviews.local'])
  const reviews = clusters.get('reviews')
  assert.ok(reviews?.kind === 'ready')
  assert.equal(reviews.config.connectTimeoutMs, 250)
  assert.equal(reviews.assignment.localities[0]?.endpoints[0]?.port, 9080)
  const target = targets.get('reviews')
  assert.ok(target?.kind === 'ready')
  const action = target.routeConfiguration.virtualHosts[0]?.routes[0]?.action
  assert.ok(action?.kind === 'forward')
  assert.deepEqual([action.timeoutMs, action.retryPolicy?.retryOn], [1500, ['5xx', 'gateway-error']])
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /^listener "tcp" of .*mesh.yaml has no HTTP connection manager and is skipped$/)
  source.unwatch('reviews')
  assert.equal(source.current.targets.has('reviews'), false)
})

test('a JSON file with routes and endpoints apart is put together', async context => {
  const text = JSON.stringify({
    listeners: [
      {
        name: 'reviews:80',
        apiListener: {
          apiListener: {
            '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
            rds: { routeConfigName: 'reviews', configSource: { ads: {} } },
            httpFilters: [
              { name: 'router', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' } },
            ],
          },
        },
      },
    ],
    routes: [
      {
        name: 'reviews',
        virtualHosts: [{ name: 'x', domains: ['reviews'], routes: [{ match: { prefix: '/' }, route: { cluster: 'c' } }] }],
      },
    ],
    clusters: [
      { name: 'c', type: 'EDS', edsClusterConfig: { edsConfig: { ads: {} }, serviceName: 's' } },
      { name: 'd', type: 'EDS', edsClusterConfig: { edsConfig: { ads: {} } } },
    ],
    endpoints: [{ clusterName: 's', endpoints: [] }],
  })
  const source = await load(context, text, 'mesh.json')
  source.watch('reviews:80')
  source.watch('reviews')
  assert.deepEqual(
    [...source.current.targets.values()].map(({ kind }) => kind),
    ['ready', 'ready'],
  )
  assert.deepEqual(
    [...source.current.clusters].map(([name, state]) => [name, state.kind]),
    [
      ['c', 'ready'],
      ['d', 'failed'],
    ],
  )
})

const bad: readonly (readonly [string, string, readonly string[]])[] = [
  [
    'YAML that is none',
    'clusters: [',
    ['mesh.yaml:1:12: Flow sequence in block collection must be sufficiently indented and end with a ]'],
  ],
  ['a key twice', 'clusters: []\nclusters: []', ['mesh.yaml:2:1: Map keys must be unique']],
  ['a file of text', 'hello', ['mesh.yaml:1:1: must be an object with static_resources, or listeners and clusters']],
  ['a list that is none', 'clusters: {}', ['mesh.yaml:1:1: clusters must be a list']],
  [
    'fields that do not exist, values of the wrong type, and a rule that is broken, all at once',
    `clusters:
  - name: a
    typ: STATIC
    connect_timeout: soon
    circuit_breakers:
      thresholds:
        - max_requests: many
  - name: b
    type: STATIC
    load_assignment: {cluster_name: b}
    outlier_detection:
      consecutive_5xx: 3
      interval: 0s
  - name: b
    load_assignment: {cluster_name: b}
`,
    [
      'mesh.yaml:3:5: Cluster "a": typ: is not a field',
      'mesh.yaml:4:5: Cluster "a": connect_timeout: is not a Duration: "soon"',
      'mesh.yaml:7:11: Cluster "a": circuit_breakers.thresholds[0].max_requests: expected number (uint32), got "many"',
      'mesh.yaml:13:7: Cluster "b": outlier_detection.interval: must be > 0, got 0s',
      'mesh.yaml:14:5: Cluster "b" is there twice',
    ],
  ],
  [
    'a mistake inside an extension',
    `listeners:
  - name: l
    api_listener:
      api_listener:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
        route_config:
          virtual_hosts:
            - name: v
              domains: [a]
              routes:
                - match: {safe_regex: {regex: "a("}}
                  route: {cluster: c}
                - match: {prefix: /, path: /}
                  direct_response: {status: 99}
`,
    [
      'mesh.yaml:16:38: Listener "l": api_listener.api_listener.route_config.virtual_hosts[0].routes[1].match.path: excludes prefix',
    ],
  ],
  [
    'a rule broken inside an extension',
    `listeners:
  - name: l
    api_listener:
      api_listener:
        "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
        http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
        route_config:
          virtual_hosts:
            - name: v
              domains: [a]
              routes:
                - match: {safe_regex: {regex: "a("}}
                  route: {cluster: c}
                - match: {prefix: /}
                  direct_response: {status: 99}
`,
    [
      'mesh.yaml:14:40: Listener "l": api_listener.route_config.virtual_hosts[0].routes[0].match.safe_regex.regex: "a(" is not RE2: missing closing )',
      'mesh.yaml:17:37: Listener "l": api_listener.route_config.virtual_hosts[0].routes[1].direct_response.status: must be in [200, 600), got 99',
    ],
  ],
]

for (const [title, text, errors] of bad) {
  test(`a file is refused with file, line and field: ${title}`, async context => {
    await assert.rejects(load(context, text), error => {
      assert.ok(error instanceof Error && 'code' in error)
      assert.equal(error.code, 'MESH_ERR_CONFIG')
      assert.deepEqual(error.message.split('\n'), errors)
      return true
    })
  })
}

test('a file that is not there is an error', async () => {
  const runtime = { clock: new ManualClock(), random: seededRandom(1), logger: silentLogger }
  await assert.rejects(loadStaticConfig('/nowhere/mesh.yaml', runtime), /cannot read \/nowhere\/mesh.yaml: ENOENT/)
})
