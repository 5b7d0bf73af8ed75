import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** Where an instance listens. */
export interface Address {
  readonly address: string
  readonly port: number
}

/** Whether an instance answers somebody without a certificate. */
export function isAnswered({ address, port }: Address, how: 'plaintext' | 'TLS without a certificate'): Promise<boolean> {
  const socket: Socket =
    how === 'plaintext'
      ? connectPlain(port, address)
      : connectTls({ port, host: address, rejectUnauthorized: false, ALPNProtocols: ['http/1.1', 'h2'] })
  socket.on('error', () => {})
  socket.write('GET / HTTP/1.1\r\nhost: stranger\r\n\r\n')
  return new Promise(resolve => {
    socket.once('data', () => {
      resolve(true)
      socket.destroy()
    })
    socket.once('close', () => resolve(false))
  })
}

/** The serial number of the certificate that an instance shows to everybody; empty when it shows none. */
export function serialOf({ address, port }: Address): Promise<string> {
  const socket = connectTls({ port, host: address, rejectUnauthorized: false, ALPNProtocols: ['http/1.1', 'h2'] })
  return new Promise(resolve => {
    socket.once('secureConnect', () => {
      resolve(socket.getPeerCertificate().serialNumber)
      socket.destroy()
    })
    socket.once('error', () => resolve(''))
  })
}
