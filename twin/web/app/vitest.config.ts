import { defineConfig } from 'vitest/config';

export default defineConfig({
  define: { CESIUM_BASE_URL: '"./"' },
  test: { include: ['tests/**/*.test.ts'], environment: 'happy-dom', reporters: ['verbose'], isolate: false },
});
