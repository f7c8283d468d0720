// The sound of the page "Live": chunks played without a gap.
//
// Each chunk starts at the very sample at which the one before it ends, on the clock of the sound card. The context
// runs at the rate of the samples, so that nothing is resampled piece by piece.

(() => {
    "use strict";

    const shared = (window.riffusionLive = window.riffusionLive || {});

    const LEAD = 0.12; // seconds between the wish to play and the first sample
    const FADE = 0.012; // seconds; where the sound begins and ends
    const EARLY = 0.1; // seconds, and one buffer of the sound card, that a chunk must be there before it is due

    function oddPart(number) {
        while (number % 2 === 0) {
            number /= 2;
        }
        return number;
    }

    shared.Player = class {
        constructor(rate, channels, volume) {
            this.rate = rate;
            this.channels = channels;
            this.context = new AudioContext({sampleRate: rate, latencyHint: "playback"});
            this.volume = this.context.createGain();
            this.volume.gain.value = volume;
            this.volume.connect(this.context.destination);
            this.waiting = []; // chunks that are loaded and not yet scheduled
            this.anchor = null; // {frame, sample}: which sample sounds at which frame of the context; null: none does
            this.last = null; // the fader of the chunk that was scheduled last, and when it begins to fade out
            this.loaded = 0; // samples
            this.end = 0; // sample behind the last one that is scheduled
            this.paused = false;
        }

        frame() {
            return Math.round(this.context.currentTime * this.rate);
        }

        // The sample that the context is at.
        position() {
            if (!this.anchor) {
                return this.end;
            }
            const at = this.anchor.sample + this.frame() - this.anchor.frame;
            return Math.min(Math.max(at, this.anchor.sample), this.end);
        }

        // The sample that leaves the loudspeaker.
        audible() {
            if (!this.anchor) {
                return this.end;
            }
            const latency = this.context.outputLatency || this.context.baseLatency || 0;
            return Math.max(this.position() - Math.round(latency * this.rate), this.anchor.sample);
        }

        add(start, numbers) {
            const length = numbers.length / this.channels;
            const buffer = this.context.createBuffer(this.channels, length, this.rate);
            for (let channel = 0; channel < this.channels; channel++) {
                const samples = buffer.getChannelData(channel);
                for (let index = 0; index < length; index++) {
                    samples[index] = numbers[index * this.channels + channel] / 32768;
                }
            }
            this.waiting.push({start, stop: start + length, buffer});
            this.loaded = start + length;
            // The clock moves by whole buffers of the sound card: what is due within one may be past already.
            const early = EARLY + (this.context.baseLatency || 0);
            if (this.anchor && this.end - this.position() > early * this.rate) {
                this.schedule();
            }
        }

        // Begins to play what waits.
        begin() {
            if (!this.anchor && this.waiting.length) {
                this.last = null;
                // Chunks begin at multiples of a number of samples whose time is exact in binary, and so must frames:
                // browsers interpolate between samples where a chunk is to start beside one.
                const grid = oddPart(this.rate);
                const frame = Math.ceil((this.frame() + LEAD * this.rate) / grid) * grid;
                this.anchor = {frame, sample: this.waiting[0].start};
                this.schedule();
            }
        }

        schedule() {
            for (const {start, stop, buffer} of this.waiting.splice(0)) {
                const source = this.context.createBufferSource();
                const fader = this.context.createGain();
                source.buffer = buffer;
                source.connect(fader).connect(this.volume);
                source.onended = () => fader.disconnect();
                const frame = this.anchor.frame + start - this.anchor.sample;
                const end = (frame + stop - start) / this.rate;
                const fadeOut = end - FADE;
                if (this.last) {
                    this.last.fader.gain.cancelScheduledValues(this.last.fadeOut); // it goes on: no fade
                } else {
                    fader.gain.setValueAtTime(0, frame / this.rate);
                    fader.gain.linearRampToValueAtTime(1, frame / this.rate + FADE);
                }
                // Until the next one is there, this is where it ends; nobody has to be awake then.
                fader.gain.setValueAtTime(1, fadeOut);
                fader.gain.linearRampToValueAtTime(0, end);
                source.start(frame / this.rate);
                this.last = {fader, fadeOut};
                this.end = stop;
            }
        }

        // After the last sample there is no clock to play by; begin() sets another one.
        stopClockAtEnd() {
            if (this.anchor && this.position() >= this.end) {
                this.anchor = null;
            }
        }

        pause(paused) {
            this.paused = paused;
            return paused ? this.context.suspend() : this.context.resume();
        }

        setVolume(value) {
            this.volume.gain.setTargetAtTime(value, this.context.currentTime, 0.01);
        }

        // Silence from now on; what was heard last is still known.
        halt() {
            this.end = this.position();
            this.anchor = null;
            this.close();
        }

        close() {
            const {context, volume} = this;
            if (!this.closing) {
                this.closing = true;
                volume.gain.setTargetAtTime(0, context.currentTime, FADE / 3);
                setTimeout(() => context.close(), 300);
            }
        }
    };
})();
