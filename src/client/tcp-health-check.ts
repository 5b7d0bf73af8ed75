import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { CheckAnswer, TcpCheck } from '../policies/health-check.ts'
import type { SecureTransport } from './upstream-tls.ts'

/** Where to connect. */
export interface TcpTarget {
  readonly address: string
  /** 0: the address is the path of a Unix socket. */
  readonly port: number
  readonly tls: SecureTransport | undefined
  /** The SNI when the cluster names none. */
  readonly hostname: string
}

/** What may come before the expected bytes. */
const maxReceivedBytes = 65_536

/** Connects, sends, and waits for what is to come back. Returns what gives up; nobody is told then. */
export function checkTcpHealth(target: TcpTarget, { send, receive }: TcpCheck, done: (answer: CheckAnswer) => void): () => void {
  let received = Buffer.alloc(0)
  const socket = open(target)
  const end = (answer: CheckAnswer) => {
    socket.destroy()
    done(answer)
  }
  socket.unref()
  socket.on('error', error => end({ result: 'failed', reason: error.message }))
  socket.on('close', () => end({ result: 'failed', reason: 'closed' }))
  socket.on(target.tls === undefined ? 'connect' : 'secureConnect', () => {
    if (send !== '') socket.write(Buffer.from(send, 'hex'))
    if (receive.length === 0) end({ result: 'healthy', reason: '' })
  })
  socket.on('data', chunk => {
    received = Buffer.concat([received, chunk])
    if (holdsInOrder(received, receive)) end({ result: 'healthy', reason: '' })
    else if (received.length > maxReceivedBytes) end({ result: 'failed', reason: 'another answer' })
  })
  return () => socket.destroy()
}

function open({ address, port, tls, hostname }: TcpTarget): Socket {
  const to = port === 0 ? { path: address } : { host: address, port }
  return tls === undefined ? connect(to) : connectTls({ ...to, ...tls.connectOptions(hostname) })
}

function holdsInOrder(received: Buffer, parts: readonly string[]): boolean {
  let at = 0
  for (const part of parts) {
    const bytes = Buffer.from(part, 'hex')
    const found = received.indexOf(bytes, at)
    if (found < 0) return false
    at = found + bytes.length
  }
  return true
}
