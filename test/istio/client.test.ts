import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createMesh, type Mesh } from '../../src/index.ts'
import { Backends } from './backends.ts'
import { cases, hostOf } from './cases.ts'
import { askMesh, assertSame } from './compare.ts'
import { allDocuments } from './documents.ts'
import { type Peer, startIstiod } from './istio.ts'
import { type Observation, observe } from './observe.ts'

const recorded: Record<string, Observation[]> = JSON.parse(readFileSync(join(import.meta.dirname, 'fixture.json'), 'utf8'))

/** Listeners for gRPC clients do not ask for paths to be normalised; those of sidecars do. */
const notAskedOfClients = new Set(['a path is normalised before it is matched'])

/** Istio's discovery server, asked as gRPC clients ask it, steers our client: the answers are those of Envoy on the same server. */
describe('the client follows Istio', () => {
  let backends: Backends
  let istiod: Peer
  let mesh: Mesh

  before(async () => {
    backends = await Backends.start()
    istiod = await startIstiod(allDocuments(cases, backends.ports))
    const node = {
      id: 'sidecar~127.0.0.1~a.default~default.svc.cluster.local',
      metadata: { GENERATOR: 'grpc', NAMESPACE: 'default' },
    }
    const server = { server_uri: istiod.address, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] }
    mesh = await createMesh({ bootstrap: { xds_servers: [server], node }, hosts: ['*.test'], localReplies: true })
  })

  after(async () => {
    await mesh?.close()
    await istiod?.close()
    backends?.close()
  })

  test('the table is whole', () => assert.equal(Object.keys(recorded).length, cases.length))

  for (const [index, aCase] of cases.entries()) {
    if (notAskedOfClients.has(aCase.name)) continue
    test(aCase.name, async () => {
      const observed = await observe(askMesh(mesh.dispatcher), backends, aCase, hostOf(index))
      assertSame(observed, recorded[aCase.name] ?? [])
    })
  }
})
