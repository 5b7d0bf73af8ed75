// Names that every object of JavaScript has, where the names of a mesh are expected.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { create, toBinary } from '@bufbuild/protobuf'
import { createFetch } from '../../src/client/http/fetch.ts'
import { ClusterLoadAssignmentSchema } from '../../src/discovery/gen/envoy/config/endpoint/v3/endpoint_pb.ts'
import { resourceTypes } from '../../src/discovery/resources/decode.ts'
import { makeCluster, makeRoute, makeTarget, makeVirtualHost } from '../support/fake-config-source.ts'
import { startUpstream } from '../support/http-upstream.ts'
import { makeMesh } from '../support/test-mesh.ts'

const names = ['__proto__', 'constructor', 'hasownproperty', 'prototype', 'tostring', 'valueof']

for (const name of names)
  describe(`F15: ${name}`, () => {
    test('is a host, a cluster, and a header and a query parameter of a route', async t => {
      const upstream = await startUpstream(t, ({ url }, response) => response.end(url))
      const other = await startUpstream(t, (_request, response) => response.end('other'))
      const { source, dispatcher } = makeMesh(t)
      const { match: anything } = makeRoute('other')
      const match = { kind: 'present', present: true } as const
      const matcher = { name, match, invert: false, treatMissingAsEmpty: false }
      const routes = [
        makeRoute('other', {}, { match: { ...anything, headers: [matcher] } }),
        makeRoute('other', {}, { match: { ...anything, queryParameters: [{ name, match }] } }),
        makeRoute(name),
      ]
      source.set({
        targets: Object.fromEntries([[name, makeTarget([makeVirtualHost(routes)])]]),
        clusters: [makeCluster(name, [upstream.address]), makeCluster('other', [other.address])],
      })
      const get = async (path: string, headers: Record<string, string> = {}) =>
        (await createFetch(dispatcher)(`http://${name}${path}`, { headers })).text()
      assert.equal(await get('/a'), '/a')
      assert.equal(await get('/a', Object.fromEntries([[name, 'x']])), 'other')
      assert.equal(await get(`/a?${name}=x`), 'other')
      assert.equal(await get('/a?b=c'), '/a?b=c')
    })

    test('is a name of a resource, and of what endpoints say of themselves', () => {
      const metadata = {
        filterMetadata: Object.fromEntries([
          ['envoy.lb', Object.fromEntries([[name, 'a']])],
          [name, {}],
        ]),
      }
      const address = {
        address: {
          case: 'socketAddress' as const,
          value: { address: '10.0.0.1', portSpecifier: { case: 'portValue' as const, value: 80 } },
        },
      }
      const message = create(ClusterLoadAssignmentSchema, {
        clusterName: name,
        endpoints: [
          {
            locality: { region: name },
            loadBalancingWeight: 1,
            lbEndpoints: [{ metadata, hostIdentifier: { case: 'endpoint', value: { address } } }],
          },
        ],
      })
      const { name: decodedName, decoded } = resourceTypes.clusterLoadAssignment.decode(
        toBinary(ClusterLoadAssignmentSchema, message),
      )
      assert.equal(decodedName, name)
      assert.ok(decoded.ok)
      const [endpoint] = decoded.value.localities[0]?.endpoints ?? []
      assert.deepEqual(Object.entries(endpoint?.metadata ?? {}), [[name, 'a']])
      assert.equal(Object.getPrototypeOf({}), Object.prototype)
    })
  })
