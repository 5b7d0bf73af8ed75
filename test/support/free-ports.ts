import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'

const host = '127.0.0.1'
const firstPort = 10_240
const blockSize = 128

/** The first port that the kernel gives to who asks for any, and to connections. */
const firstEphemeralPort = (): number => {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/, 1)[0])
  } catch {
    return 32_768
  }
}

const left: number[] = []
let nextBlock = 0

/**
 * Ports of the loopback interface that nobody listens on, for a server that is told its port before it starts. They stay free until it does:
 * they are below those that the kernel gives to anybody, and a process takes them by the block, on whose first port it listens until it ends.
 */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    if (left.length === 0) left.push(...(await takeBlock()))
    const port = left.shift()
    if (port !== undefined && (await isFree(port))) ports.push(port)
  }
  return ports
}

async function takeBlock(): Promise<readonly number[]> {
  for (const blocks = Math.floor((firstEphemeralPort() - firstPort) / blockSize); nextBlock < blocks; ) {
    const first = firstPort + blockSize * nextBlock++
    const guard = await listenOn(first)
    if (guard !== null) return Array.from({ length: blockSize - 1 }, (_, index) => first + 1 + index)
  }
  throw new Error('no ports are left')
}

async function isFree(port: number): Promise<boolean> {
  const server = await listenOn(port)
  if (server !== null) await once(server.close(), 'close')
  return server !== null
}

/** `null` when somebody does already. */
async function listenOn(port: number): Promise<Server | null> {
  const server = createServer(socket => socket.destroy()).listen({ port, host, exclusive: true })
  try {
    await once(server, 'listening')
    return server.unref()
  } catch {
    return null
  }
}
