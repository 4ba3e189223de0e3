import { expect, test } from 'vitest';
import { isSoftware, quality } from '../src/map/renderer';

test('a driver that draws on the processor is known by its name', () => {
  const software = [
    'ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero) (0x0000C0DE)), SwiftShader driver)',
    'Google SwiftShader',
    'llvmpipe (LLVM 19.1.7, 256 bits)',
    'ANGLE (Mesa, llvmpipe (LLVM 15.0.7, 256 bits), OpenGL 4.5)',
    'softpipe',
    'ANGLE (Microsoft, Microsoft Basic Render Driver (0x0000008C) Direct3D11 vs_5_0 ps_5_0, D3D11)',
    'Apple Software Renderer',
  ];
  const cards = [
    'ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 Direct3D11 vs_5_0 ps_5_0, D3D11)',
    'ANGLE (Intel, Mesa Intel(R) UHD Graphics 620 (KBL GT2), OpenGL 4.6)',
    'Apple M2',
    'Adreno (TM) 740',
    'Moore Threads MTT S80',
    '',
  ];
  expect(software.filter((name) => !isSoftware(name))).toEqual([]);
  expect(cards.filter(isSoftware)).toEqual([]);
});

test('the map is as sharp as the screen, and a processor draws no pixel twice', () => {
  expect(quality(1, false)).toEqual({ scale: 1, samples: 4 });
  expect(quality(2, false)).toEqual({ scale: 2, samples: 2 });
  expect(quality(3, false).scale).toBe(2);
  expect(quality(1, true)).toEqual({ scale: 1, samples: 1 });
  expect(quality(2, true)).toEqual({ scale: 1.5, samples: 1 });
  // a page that is zoomed out to 75 % has fewer pixels than CSS says
  expect(quality(0.75, false).scale).toBe(0.75);
});
