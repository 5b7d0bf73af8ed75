import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientTls, secured, startGated } from '../support/gated-server.ts'
import { inboundState, makeChain, mutualTls } from '../support/inbound-model.ts'
import { SvidAuthority } from '../support/svid-fixtures.ts'

test('A37: TLS 1.2 is not negotiated anew', async t => {
  const authority = await SvidAuthority.create('td')
  const [server, client] = [await authority.identity('/server'), await authority.identity('/client')]
  const { source, port } = await startGated(t, (_request, response) => response.end('ok'), server)
  source.setInbound('server', inboundState(makeChain({ tls: { ...mutualTls, minVersion: 'TLSv1.2' } })))
  const socket = await secured(t, port, { ...clientTls(client, server), maxVersion: 'TLSv1.2' })
  assert.equal(socket.getProtocol(), 'TLSv1.2')
  const outcome = new Promise<unknown>(resolve => {
    socket.once('error', resolve)
    socket.once('close', () => resolve(new Error('closed')))
    socket.renegotiate({}, error => resolve(error))
  })
  assert.ok((await outcome) instanceof Error)
})
