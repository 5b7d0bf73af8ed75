import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import { AnySchema } from '@bufbuild/protobuf/wkt'
import { ClusterSchema } from '../../src/discovery/gen/envoy/config/cluster/v3/cluster_pb.ts'
import { TypedStructSchema } from '../../src/discovery/gen/xds/type/v3/typed_struct_pb.ts'
import { createMesh, type LoadBalancerFactory, type LoadBalancerSettings, silentLogger } from '../../src/index.ts'
import { FakeAdsServer } from '../support/fake-ads-server.ts'
import { startUpstream } from '../support/http-upstream.ts'
import { clusterMessage, serviceMessages } from '../support/xds-resources.ts'

/** Sends a request to the endpoint whose port the header names that is configured. */
const byPort: LoadBalancerFactory = {
  type: 'test.ByPort',
  check({ header }) {
    if (typeof header !== 'string') throw new Error('header: must be text')
  },
  create: ({ header }, hosts) => ({
    pick(request) {
      const port = request.header?.(String(header))
      if (port === 'none') throw new Error('nobody')
      return hosts.find(({ name }) => name.endsWith(`:${port}`)) ?? null
    },
  }),
}

async function start(t: TestContext, ...policies: readonly (readonly [type: string, config: LoadBalancerSettings])[]) {
  const server = await FakeAdsServer.start()
  const upstreams = await Promise.all(
    [1, 2, 3].map(number => startUpstream(t, (_, response) => void response.end(String(number)))),
  )
  t.after(() => server.stop())
  const cluster = clusterMessage('s')
  const typedConfig = (typeUrl: string, value: LoadBalancerSettings) =>
    create(AnySchema, {
      typeUrl: 'type.googleapis.com/xds.type.v3.TypedStruct',
      value: toBinary(
        TypedStructSchema,
        create(TypedStructSchema, { typeUrl: `example.org/${typeUrl}`, value: { ...value } as never }),
      ),
    })
  cluster.loadBalancingPolicy = {
    $typeName: 'envoy.config.cluster.v3.LoadBalancingPolicy',
    policies: policies.map(([type, config]) => ({
      $typeName: 'envoy.config.cluster.v3.LoadBalancingPolicy.Policy',
      typedExtensionConfig: {
        $typeName: 'envoy.config.core.v3.TypedExtensionConfig',
        name: type,
        typedConfig: typedConfig(type, config),
      },
    })),
  }
  const messages = serviceMessages('s', ...upstreams.map(({ address }) => address))
  server.set(...messages.map(each => (each.$typeName === ClusterSchema.typeName ? cluster : each)))
  const mesh = await createMesh({
    hosts: ['s'],
    env: { INMESH_CONTROL_PLANE: server.target },
    loadBalancers: [byPort],
    runtime: { logger: silentLogger },
    waitsForHosts: false,
  })
  t.after(() => mesh.close())
  const ask = async (port: string) => (await mesh.fetch('http://s/', { headers: { 'x-port': port } })).text()
  return { server, mesh, ports: upstreams.map(({ address }) => address.split(':')[1] ?? ''), ask }
}

test('A52: a balancer of the application chooses, by its configuration and the request', async t => {
  const { ask, ports } = await start(t, ['test.Unknown', {}], ['test.ByPort', { header: 'x-port' }], ['round_robin', {}])
  for (const [index, port] of [...ports.entries(), ...ports.entries()]) assert.equal(await ask(port), String(index + 1))
})

test('A52: whom it does not name, or when it throws, is nobody', async t => {
  const { ask, ports } = await start(t, ['test.ByPort', { header: 'x-port' }])
  const warned = new Promise<Error>(resolve => process.once('warning', resolve))
  for (const port of ['1', 'none'])
    await assert.rejects(ask(port), ({ cause }: Error) => cause instanceof Error && /no healthy upstream/.test(cause.message))
  assert.equal((await warned).message, 'nobody')
  assert.equal(await ask(ports[0] ?? ''), '1')
})

test('A52: a configuration that it refuses is refused with the place', async t => {
  const { server, ask } = await start(t, ['test.ByPort', {}])
  void ask('1').catch(() => {})
  const { error } = await server.request(request => request.error !== undefined)
  assert.match(error?.message ?? '', /load_balancing_policy\.policies\[0\]\.typed_extension_config: header: must be text/)
})
